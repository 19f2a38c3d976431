"""The page in the browser. This folder also runs alone, beside `app.py` on a Space: relative imports only."""

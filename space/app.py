"""Run the page of `paraclap.page`, which on a Space is the folder paraclap_page beside this file."""

from pathlib import Path

try:
    from paraclap_page.app import main
except ModuleNotFoundError as error:
    if error.name != "paraclap_page":
        raise
    from paraclap.page.app import main

if __name__ == "__main__":
    raise SystemExit(main(model_file=Path(__file__).with_name("model_id.txt")))

"""Build (audio, queries) pairs from speech corpora in their original layouts.

The data flow one way: ``corpora`` (one table of utterances) -> ``egemaps`` (openSMILE functionals) -> ``binning``
(low / mid / high) -> ``queries`` (text from one template table) -> ``build_query_corpus`` (Parquet).
Nothing here imports the model.
"""

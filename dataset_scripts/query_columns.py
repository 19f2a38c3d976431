"""Generate the queries of a whole table at once, as Arrow columns, equal to `generate_queries` of each row.

Of each attribute there are few different cases (its bin, the bins that its conditions look at, emotion, gender), so
each case goes through `generate_queries` once and the rows only take the numbers of the texts.
"""

import numpy as np
import pandas as pd
import pyarrow as pa

from .queries import INDEX, TemplateIndex, generate_queries


def query_columns(frame: pd.DataFrame, index: TemplateIndex = INDEX) -> tuple[pa.ListArray, pa.ListArray]:
    """Generate the queries of every row.

    Args:
        frame: columns ``{attribute}_bin``, ``emotion`` and ``gender``; those that are not there give no query.
        index: the templates.

    Returns:
        The texts and, for each, its attribute: two list columns as long as `frame`.

    Raises:
        ValueError: As [`generate_queries`].
    """
    texts: dict[tuple[str, str], int] = {}
    cases = [_cases(frame, source, index, texts) for source in dict.fromkeys(source for source, _ in index)]
    offsets = np.zeros(len(frame) + 1, dtype=np.int64)
    np.cumsum(sum((lengths[case] for case, _, lengths in cases), np.zeros(len(frame), np.int64)), out=offsets[1:])
    flat = np.empty(offsets[-1], dtype=np.int32)
    position = offsets[:-1].copy()
    for case, numbers, lengths in cases:
        for place in range(numbers.shape[1]):
            rows = np.flatnonzero(lengths[case] > place)
            flat[position[rows] + place] = numbers[case[rows], place]
        position += lengths[case]
    indices = pa.array(flat)
    return tuple(
        pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), pa.array(column, pa.string()).take(indices))
        for column in ([text for _, text in texts], [attribute for attribute, _ in texts])
    )


def _cases(
    frame: pd.DataFrame, source: str, index: TemplateIndex, texts: dict[tuple[str, str], int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (rows,) the case of each row; (cases, most) the numbers of its texts in `texts`; (cases,) their number."""
    own = {key: templates for key, templates in index.items() if key[0] == source}
    templates = [template for group in own.values() for template in group]
    columns = {source if source in ("emotion", "gender") else f"{source}_bin"}
    columns |= {f"{template.condition[0]}_bin" for template in templates if template.condition}
    columns |= {name for name in ("emotion", "gender") if any("{" + name in template.text for template in templates)}
    columns = [name for name in sorted(columns) if name in frame]
    codes = np.zeros(len(frame), dtype=np.int64)
    for name in columns:
        code, values = pd.factorize(frame[name])
        codes = codes * (len(values) + 1) + code + 1
    _, first, case = np.unique(codes, return_index=True, return_inverse=True)
    rows = frame[columns].iloc[first].to_dict("records") if columns else [{} for _ in first]
    queries = [generate_queries(row, own) for row in rows]
    lengths = np.array([len(pairs) for pairs in queries], dtype=np.int64)
    numbers = np.zeros((len(queries), max(lengths, default=0)), dtype=np.int32)
    for line, pairs in zip(numbers, queries, strict=True):
        line[: len(pairs)] = [texts.setdefault(pair, len(texts)) for pair in pairs]
    return case, numbers, lengths

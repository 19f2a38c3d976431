"""Find recordings that a corpus contains twice under contradictory labels."""

import pandas as pd

from .egemaps import FUNCTIONALS

CHECKED = ("emotion", "gender", "speaker", "split")


def find_contradictions(frame: pd.DataFrame) -> pd.Series:
    """Return the utterances whose recording also occurs with another label.

    Two files of a corpus hold the same recording if all their functionals are equal to the last bit. That finds copies
    in different containers, too, where a comparison of bytes would not.

    Args:
        frame: `corpus`, `file`, `FUNCTIONALS` and those of `CHECKED` that are there.

    Returns:
        The reason for each such utterance, indexed as `frame`; copies with equal labels are not among them.
    """
    keys = ["corpus", *FUNCTIONALS]
    copies = frame[frame.duplicated(keys, keep=False)]
    reasons = {}
    for _, group in copies.groupby(keys, dropna=False, sort=False):
        differing = [column for column in CHECKED if column in group and group[column].nunique(dropna=False) > 1]
        for index in group.index if differing else ():
            other = group.drop(index=index).iloc[0]
            labels = ", ".join(f"{column} {other[column]}" for column in differing)
            reasons[index] = f"the same recording as {other['file']}, which has {labels}"
    return pd.Series(reasons, dtype=object)

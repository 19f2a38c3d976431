"""What was wrong with a model's weights when they were loaded, kept for those who would score with it.

transformers gives weights that a checkpoint lacks random values, leaves out those that the configuration has no place
for, and warns. A model that is trained next may be loaded so; scores of it say nothing.
"""

from typing import Any


class RemembersLoading:
    """Keeps what `from_pretrained` found missing or left over; a base of `ParaClapPreTrainedModel`."""

    unfit_weights: tuple[str, ...] = ()

    def _adjust_missing_and_unexpected_keys(self, loading_info: Any) -> None:
        super()._adjust_missing_and_unexpected_keys(loading_info)
        mismatched = {key for key, *_ in loading_info.mismatched_keys}
        self.unfit_weights = tuple(sorted(loading_info.missing_keys | loading_info.unexpected_keys | mismatched))

    def train(self, mode: bool = True) -> Any:
        """Set the mode; training gives weights that were missing their values."""
        if mode:
            self.unfit_weights = ()
        return super().train(mode)


def check_weights(model: Any) -> None:
    """Raise ValueError if the weights of a model are not those of its configuration, and it was not trained since."""
    unfit = getattr(model, "unfit_weights", ())
    if unfit:
        raise ValueError(
            f"{len(unfit)} weights are missing from the checkpoint of {model.name_or_path}, or have no place in its "
            f"configuration, such as {unfit[0]}: its scores would be random. Save model and configuration together."
        )

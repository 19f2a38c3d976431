"""What keeps something from being published."""


class PublishError(Exception):
    """What keeps something from being published, in one line that says what to do."""


class CardError(PublishError):
    """Results or a training record that no card can be made of."""


class LicenceError(PublishError):
    """Sources whose licences do not go together, are not known, or forbid what the publisher decides."""

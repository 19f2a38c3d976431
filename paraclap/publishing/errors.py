"""Errors of publishing."""


class PublishError(Exception):
    """Publishing failed; the message says why and what to do, in one line."""


class CardError(PublishError):
    """Results or a training record from which a card cannot be written."""


class LicenceError(PublishError):
    """Licences of the sources are unknown, incompatible, or rule out the publisher's decision."""

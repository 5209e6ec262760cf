"""The one exception that stands for a user's mistake."""


class ConfigError(ValueError):
    """A value that cannot be used. Its message is one line that names the key, the rule and the value."""

    def __init__(self, key: str, rule: str, value: object) -> None:
        """Say that `key` must obey `rule` and that `value` does not."""
        super().__init__(f"{key} {rule}, got {value!r}")

"""What a client accepts: JSON, or safetensors."""

JSON = "application/json"
BINARY = "application/octet-stream"


def wants_binary(accept: str) -> bool:
    """Whether `Accept` names application/octet-stream; wildcards and a quality of 0 mean JSON."""
    for choice in accept.lower().split(","):
        kind, *options = (part.strip() for part in choice.split(";"))
        if kind == BINARY:
            return not any(_is_zero(option) for option in options)
    return False


def _is_zero(option: str) -> bool:
    name, _, value = option.partition("=")
    return name.strip() == "q" and not value.strip().strip("0.")

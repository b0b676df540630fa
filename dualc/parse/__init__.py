"""From a catalog entry or a typed expression to an `Activation`; no text is evaluated as code."""

from dualc.parse.entry import parse_entry, parse_expression, read_entry
from dualc.parse.toml import check_name, entry_toml

__all__ = ["check_name", "entry_toml", "parse_entry", "parse_expression", "read_entry"]

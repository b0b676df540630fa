"""From a catalog entry or a typed expression to an `Activation`; no text is evaluated as code."""

from dualc.parse.entry import check_name, entry_toml, parse_entry, parse_expression, read_entry

__all__ = ["check_name", "entry_toml", "parse_entry", "parse_expression", "read_entry"]

"""How statements name versions, histories and changes: the one place that knows the syntax."""


def at_version(relation: str, version: int) -> str:
    return f"{relation} VERSION AS OF {version}"


def at_time(relation: str, moment: str) -> str:
    return f"{relation} TIMESTAMP AS OF '{moment}'"


def history(relation: str) -> str:
    return f"table_history('{relation}')"


def changes(relation: str, first: int, last: int) -> str:
    return f"table_changes('{relation}', {first}, {last})"

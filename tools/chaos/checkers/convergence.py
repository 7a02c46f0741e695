"""Did all come to agree, and do replicas hold what their primaries hold?"""

from typing import Final

from ..history import History
from .base import Finding

NAME: Final = "convergence"
_NAMED_MAX: Final = 3


def check_convergence(history: History) -> list[Finding]:
    """Views first, then data."""
    findings = []
    if history.converged_ms is None:
        lines = history.complaint.splitlines() or ["the nodes never agreed"]
        findings.append(Finding(NAME, True, " | ".join(lines[:8])))
    different = [
        (final.key, number, copy, final.value)
        for final in history.finals
        for number, copy in final.copies.items()
        if final.is_known and copy != final.value
    ]
    if different:
        named = "; ".join(
            f"{key}: node {number} has {str(copy)[-60:]}, its primary {str(value)[-60:]}"
            for key, number, copy, value in different[:_NAMED_MAX]
        )
        words = f"{len(different)} keys differ between replicas and primaries: {named}"
        findings.append(Finding("copies", True, words))
    return findings

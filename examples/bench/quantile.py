"""One definition for all figures."""
import math


def quantile(values, share):
    """The least of them that `share` of them do not exceed (nearest rank); of none: not a number."""
    if not values:
        return math.nan
    rank = math.ceil(share * len(values) - 1e-9)  # 0.07 * 100 is a little more than 7
    return sorted(values)[max(0, rank - 1)]

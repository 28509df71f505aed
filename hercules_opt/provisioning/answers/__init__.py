"""Questions beside the plan itself: which plan is better, what moves, why not, and what if."""

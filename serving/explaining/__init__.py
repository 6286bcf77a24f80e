"""Why a slate: the parts of scores, what rules closed, and which past items moved them."""

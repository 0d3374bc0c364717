"""For all tests: properties run steadily."""

import steady

steady.load()

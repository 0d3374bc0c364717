"""For all properties: they run steadily."""

import steady

steady.load()

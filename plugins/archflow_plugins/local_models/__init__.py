"""Models that run in this process: catalogue, cache and conversion; embeddings, generation, and who serves them.

Rule: numpy, ctranslate2, faiss and tokenizers are imported here and nowhere else, and only once a model is used:
`archc --help`, `Registry.load()` and a graph without local models never pay for them.
Rule: nothing here needs torch, and no package that carries weights is ever imported.
"""

"""The second stage of choosing a function: which of some described candidates does a request ask for?

The encoder alone compares two vectors. The ranker looks closer: at names, parameters, values and verbs, and weighs what
it finds by `weights.json`, which `bench/quality/train_ranker.py` writes.

Rule: it knows names, descriptions and parameters, never configurations, prompt targets or conversations.
"""

from archflow_plugins.local_models.ranker.candidate import Candidate, Offer, Parameter, query_texts
from archflow_plugins.local_models.ranker.features import FEATURES, features
from archflow_plugins.local_models.ranker.rank import Ranker

__all__ = ["FEATURES", "Candidate", "Offer", "Parameter", "Ranker", "features", "query_texts"]

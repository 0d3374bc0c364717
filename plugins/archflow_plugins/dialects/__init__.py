"""The wire formats of LLM APIs that archflow speaks.

Rule: a dialect is sync and sans-IO, and knows neither providers nor other dialects: M + N codecs, never M x N.
Rule: what a dialect does not understand passes through untouched.
"""

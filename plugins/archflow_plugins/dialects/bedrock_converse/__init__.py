"""Amazon Bedrock's Converse and ConverseStream.

Rule: what differs between the vendors whose models Bedrock serves stands in `families`, nowhere else.
"""

from archflow_plugins.dialects.bedrock_converse.dialect import BedrockConverse

__all__ = ["BedrockConverse"]

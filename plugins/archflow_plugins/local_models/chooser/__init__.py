"""Which of some described options is a conversation about?"""

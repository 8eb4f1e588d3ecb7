"""The courier: connects to tags, fetches what the hub did not hear, and brings what the hub has for them.

Decisions are pure: `schedule` (whom, when), `visit` (one connection), `mailbox` (the platform's orders). `courier`
drives them over the links that radios give.
"""

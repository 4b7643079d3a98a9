"""``unblend accept``: does changed code compute what the accepted code did? Then its fingerprint joins the lock."""

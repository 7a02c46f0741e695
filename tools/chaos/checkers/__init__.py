"""What a recorded history is checked for; one file for each group of promises.

Rules: a checker is a function of the history alone, and gives back figures and findings; a finding
that breaks no promise is told as well, since it is what asynchronous replication costs.
"""

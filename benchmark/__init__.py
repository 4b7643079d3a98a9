"""Run and judge, in rooms; each knows those below it only.

``commands``, ``workflows``, ``running``, ``scoring``, then side by side ``training`` and ``reports``, then ``results``,
then side by side ``plan`` and ``metrics``. ``speed`` measures them all.
"""

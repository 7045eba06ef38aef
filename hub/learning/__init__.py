"""The learning loop: new data, a new model, evidence, a candidate; a person approves, few nodes try, a person promotes.

It does nothing that visitors see without a person, but for taking back what a person had let a few nodes try.
"""

"""Whole records that are old, in Parquet files that can be written again without what was erased.

`partition` knows one file, `shelf` keeps the ones that are being read at hand. Which files there are, and which record
lies in which, is said by the ledger alone (`hub.ledger.lake`): a file that it does not name does not count.
"""

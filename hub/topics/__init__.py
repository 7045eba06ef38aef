"""What a support ticket is about, by its text: TF-IDF and a linear model, run by the edge's scorer in a child process.

`words` turns a text into counts, `hub.train.topics` learns from texts with known topics and exports, `model` reads what
was exported and answers, `tickets` writes the answers into the calls of a source.

The exported model takes counts, not text: a graph with string operators loads only where the locale `en_US.UTF-8` is
installed, and their idea of a word is not Python's. So the words are cut in one function, for training and serving
alike, and the graph's metadata says which column counts which of them.
"""

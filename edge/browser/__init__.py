"""What runs in browsers: the page's client and its overlay for developers, and how they are made small."""

"""From a site and its models to what nodes run: built, approved by a person, signed, assigned."""

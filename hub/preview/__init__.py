"""What a site would show to somebody, before there is a release: decided and rendered by the code of an edge node."""

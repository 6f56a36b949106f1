"""What the user lets a repository have: requests of contracts, and the grants that answer them."""

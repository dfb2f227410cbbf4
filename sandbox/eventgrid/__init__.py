"""Event Grid: the feed of resource events, subscriptions, filters and delivery."""

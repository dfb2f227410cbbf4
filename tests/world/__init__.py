"""The one small world that tests share: ids, builders, policies, the app over a seeded Azure."""

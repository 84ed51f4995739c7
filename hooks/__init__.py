"""What a push must pass before a ref moves, and what an accepted push sets off."""

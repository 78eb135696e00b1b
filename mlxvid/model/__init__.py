"""What is known of models without their weights, and the contract that every family fulfils."""

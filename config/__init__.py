"""What a person configures: named and custom targets."""

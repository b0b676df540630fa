"""What is measured and what is true: the oracle and the certificate."""

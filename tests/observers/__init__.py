"""Who is told what each command came to."""

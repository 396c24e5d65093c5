#error "Souffleur includes a file of the program that embeds it"

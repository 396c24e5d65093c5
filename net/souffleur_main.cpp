// The program: one command of several, by its first word.

#include "net/commands/commands.hpp"

int main(int argc, char** argv) { return souffleur::run_command(argc, argv); }

// Loops that the compiler vectorises, built for several instruction sets.
#pragma once

/// Before a function: the dynamic linker picks the widest copy that the CPU has. Not under sanitizers, whose
/// start-up comes after the linker's. A level and not a processor's name, which would match that processor
/// alone.
#if defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define SOUFFLEUR_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define SOUFFLEUR_CLONES
#endif

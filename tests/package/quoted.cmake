# cmake -D README=… -D CODE=… -P quoted.cmake: fails if the file CODE does not stand in README, whole, as a block of C++.
file(READ ${README} readme)
file(READ ${CODE} code)
string(FIND "${readme}" "```cpp\n${code}```" at)
if(at EQUAL -1)
  message(FATAL_ERROR "${README} does not quote ${CODE} as it is")
endif()

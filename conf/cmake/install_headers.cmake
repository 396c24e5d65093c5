# Installs the public headers, and what they include, into ${header_dir}, a folder that is named souffleur and has those of
# ${source_headers}. Includes are written out there (<souffleur/engine/…> for "engine/…"), so that a program may have folders engine/
# and net/ of its own.
cmake_minimum_required(VERSION 3.24)
include(${CMAKE_CURRENT_LIST_DIR}/public_headers.cmake)

set(waiting ${public_headers})
set(seen ${public_headers})
while(waiting)
  list(POP_FRONT waiting header)
  get_filename_component(folder ${header} DIRECTORY)
  file(READ ${source_headers}/${header} text)
  string(REGEX REPLACE "#include \"((policies|engine|actors|net)/[^\"]+)\"" "#include <souffleur/\\1>" text "${text}")
  string(REGEX REPLACE "#include \"([^\"]+)\"" "#include <souffleur/${folder}/\\1>" text "${text}")

  string(REGEX MATCHALL "#include <souffleur/[^>]+>" includes "${text}")
  list(TRANSFORM includes REPLACE "#include <souffleur/([^>]+)>" "\\1")
  foreach(included ${includes})
    if(NOT included IN_LIST seen)
      list(APPEND seen ${included})
      list(APPEND waiting ${included})
    endif()
  endforeach()

  set(file $ENV{DESTDIR}${header_dir}/${header})
  set(installed "")
  if(EXISTS ${file})
    file(READ ${file} installed)
  endif()
  if(NOT installed STREQUAL text) # else whoever includes it would be compiled again
    file(WRITE ${file} "${text}")
  endif()
endwhile()

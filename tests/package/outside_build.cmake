# For scripts that build a project against an installed Souffleur.
function(run)
  execute_process(COMMAND ${ARGV} COMMAND_ERROR_IS_FATAL ANY)
endfunction()

# build_outside(SOURCE PREFIX SCRATCH OPTION…): the project in SOURCE, with the Souffleur in PREFIX, into SCRATCH.
function(build_outside source prefix scratch)
  find_program(CCACHE ccache)
  if(CCACHE)
    set(launcher -DCMAKE_CXX_COMPILER_LAUNCHER=${CCACHE})
  endif()
  run(${CMAKE_COMMAND} -G Ninja -S ${source} -B ${scratch} -DCMAKE_PREFIX_PATH=${prefix} ${launcher} ${ARGN})
  run(${CMAKE_COMMAND} --build ${scratch})
endfunction()

# cmake -D PREFIX=… -D SOURCE=… -D SCRATCH=… [-D MODEL=…] -P run.cmake: builds the examples against the Souffleur that is installed in
# PREFIX, and runs them; with a model, also those that need one.
include(${CMAKE_CURRENT_LIST_DIR}/../../tests/package/outside_build.cmake)
build_outside(${SOURCE} ${PREFIX} ${SCRATCH} -DCMAKE_BUILD_TYPE=Release)
foreach(test own_eviction_policy own_policies_test summary_job_test)
  if(EXISTS ${SCRATCH}/${test}) # there is RapidCheck
    run(${SCRATCH}/${test})
  endif()
endforeach()
if(NOT EXISTS "${MODEL}")
  return()
endif()

run(${SCRATCH}/minimal ${MODEL} "What is 2 plus 2?")
file(GLOB documents ${SOURCE}/documents/*.txt)
run(${SCRATCH}/summarizer --model ${MODEL} ${documents})

# Whoever dies: the same seeds give the same summary.
set(copper ${SOURCE}/documents/copper.txt)
foreach(victim nobody document scheduler verifier kv_manager intake)
  execute_process(COMMAND ${SCRATCH}/summarizer --model ${MODEL} --kill ${victim} ${copper}
                  OUTPUT_VARIABLE summary_without_${victim} COMMAND_ERROR_IS_FATAL ANY)
  if(NOT summary_without_${victim} STREQUAL summary_without_nobody)
    message(FATAL_ERROR "without its ${victim}: ${summary_without_${victim}} instead of ${summary_without_nobody}")
  endif()
endforeach()

# Ctrl-C in the midst of it: an orderly end, which says that not all was done. The many words take a while.
set(many_documents ${documents})
foreach(n RANGE 4)
  list(APPEND many_documents ${many_documents})
endforeach()
execute_process(COMMAND timeout --signal INT --kill-after 60 2 ${SCRATCH}/summarizer --model ${MODEL} ${many_documents}
                OUTPUT_QUIET ERROR_VARIABLE said RESULT_VARIABLE left)
if(NOT left EQUAL 124 OR NOT said MATCHES "summaries from") # 124: timeout(1) sent the signal, and it did not take a second one
  message(FATAL_ERROR "Ctrl-C: left with ${left}, and said: ${said}")
endif()

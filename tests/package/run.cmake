# cmake -D BUILD=… -D SOURCE=… -D SCRATCH=… -P run.cmake: installs BUILD into SCRATCH, and builds and runs the program against it.
include(${CMAKE_CURRENT_LIST_DIR}/outside_build.cmake)
file(REMOVE_RECURSE ${SCRATCH}/prefix)
run(${CMAKE_COMMAND} --install ${BUILD} --prefix ${SCRATCH}/prefix)
build_outside(${SOURCE} ${SCRATCH}/prefix ${SCRATCH}/build)
run(${SCRATCH}/build/embedding_program)

# The CUDA kernels as objects, without CMake's own language CUDA, whose checks would cost every configuration seconds.

# Sets nvcc's path, or nothing: there is none, or one older than C++20 and Hopper.
function(souffleur_find_nvcc path)
  find_program(SOUFFLEUR_NVCC nvcc HINTS ENV CUDA_PATH PATHS /usr/local/cuda PATH_SUFFIXES bin)
  set(${path} "" PARENT_SCOPE)
  if(NOT SOUFFLEUR_NVCC)
    return()
  endif()
  execute_process(COMMAND ${SOUFFLEUR_NVCC} --version OUTPUT_VARIABLE version ERROR_QUIET)
  if(version MATCHES "release ([0-9.]+)" AND CMAKE_MATCH_1 VERSION_GREATER_EQUAL 12)
    set(${path} ${SOUFFLEUR_NVCC} PARENT_SCOPE)
  endif()
endfunction()

# Sets the static runtime library that belongs to NVCC.
function(souffleur_find_cuda_runtime path nvcc)
  get_filename_component(real ${nvcc} REALPATH)
  get_filename_component(folder ${real} DIRECTORY)
  find_library(SOUFFLEUR_CUDART cudart_static REQUIRED HINTS ${folder}/.. PATH_SUFFIXES lib64 targets/x86_64-linux/lib lib)
  set(${path} ${SOUFFLEUR_CUDART} PARENT_SCOPE)
endfunction()

# Sets the objects of ROOT/engine/cuda/*.cu.
function(souffleur_cuda_objects objects nvcc root)
  set(SOUFFLEUR_CUDA_ARCHITECTURE 90 CACHE STRING "Compute capability that the CUDA kernels are compiled for: 90 or more")
  file(GLOB sources CONFIGURE_DEPENDS ${root}/engine/cuda/*.cu)
  set(all "")
  foreach(source ${sources})
    get_filename_component(name ${source} NAME_WE)
    set(object ${CMAKE_CURRENT_BINARY_DIR}/cuda/${name}.o)
    # Without contraction, so that a kernel and its reference round alike.
    add_custom_command(
      OUTPUT ${object}
      COMMAND ${CMAKE_CXX_COMPILER_LAUNCHER} ${nvcc} -std=c++20 -O3 -fmad=false --expt-relaxed-constexpr
              -arch=sm_${SOUFFLEUR_CUDA_ARCHITECTURE}
              -I${root} -Xcompiler=-Wall,-Wextra,-fPIC -Werror=all-warnings -MD -MF ${object}.d -c ${source} -o ${object}
      DEPENDS ${source} DEPFILE ${object}.d COMMENT "Compiling engine/cuda/${name}.cu" VERBATIM)
    set_source_files_properties(${object} PROPERTIES EXTERNAL_OBJECT ON GENERATED ON)
    list(APPEND all ${object})
  endforeach()
  file(MAKE_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR}/cuda)
  set(${objects} ${all} PARENT_SCOPE)
endfunction()

# The shape of the house. A layer is a folder of src/ and one static library. Its
# headers are reachable only as "<layer>/name.h", through a folder that holds a link to
# this one layer, and libraries are linked PRIVATE: an include that a layer did not
# declare does not compile.

add_library(dm_include INTERFACE)
target_include_directories(dm_include INTERFACE ${CMAKE_SOURCE_DIR}/include)

# dm_headers(<layer>): a target that carries only the layer's include path.
function(dm_headers layer)
  set(staging ${CMAKE_BINARY_DIR}/layers/${layer})
  file(MAKE_DIRECTORY ${staging})
  file(CREATE_LINK ${CMAKE_SOURCE_DIR}/src/${layer} ${staging}/${layer} SYMBOLIC)
  add_library(dm_${layer}_headers INTERFACE)
  target_include_directories(dm_${layer}_headers INTERFACE ${staging})
endfunction()

# dm_use(<target> <layer>...): lets a target include and link these layers.
function(dm_use target)
  foreach(layer ${ARGN})
    target_link_libraries(${target} PRIVATE dm_${layer}_headers)
    if(TARGET dm_${layer})
      target_link_libraries(${target} PRIVATE dm_${layer})
    endif()
  endforeach()
endfunction()

# dm_test(<target> <source> USES <layers> LINK <libraries>): one cmocka executable, with
# the fixtures of tests/lib.
function(dm_test target source)
  cmake_parse_arguments(ARG "" "" "USES;LINK" ${ARGN})
  add_executable(${target} ${source})
  set_target_properties(${target} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  target_compile_options(${target} PRIVATE ${DM_WARNINGS})
  target_include_directories(${target} PRIVATE ${CMAKE_SOURCE_DIR}/tests)
  dm_use(${target} ${ARG_USES})
  target_link_libraries(${target} PRIVATE dm_testlib ${ARG_LINK} ${CMOCKA_LIBRARY} m)
  add_test(NAME ${target} COMMAND ${target} WORKING_DIRECTORY ${CMAKE_BINARY_DIR})
  set_tests_properties(${target} PROPERTIES TIMEOUT 300)
endfunction()

# dm_layer(<name> USES <layers below> LINK <libraries>): src/<name>/*.c (main.c aside)
# as a library, and tests/unit/<name>/*_test.c as tests that may use the same.
function(dm_layer name)
  cmake_parse_arguments(ARG "" "" "USES;LINK" ${ARGN})
  dm_headers(${name})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/${name}/*.c)
  list(FILTER sources EXCLUDE REGEX "/main\\.c$")
  if(sources)
    add_library(dm_${name} STATIC ${sources})
    target_compile_options(dm_${name} PRIVATE ${DM_WARNINGS})
    target_link_libraries(dm_${name} PRIVATE dm_${name}_headers ${ARG_LINK})
    dm_use(dm_${name} ${ARG_USES})
  endif()
  file(GLOB tests CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/unit/${name}/*_test.c)
  foreach(test ${tests})
    get_filename_component(test_name ${test} NAME_WE)
    dm_test(unit_${name}_${test_name} ${test} USES ${name} ${ARG_USES} LINK ${ARG_LINK})
  endforeach()
endfunction()

# dm_program(<name> <file or folder> USES <layers> LINK <libraries>)
function(dm_program name path)
  cmake_parse_arguments(ARG "" "" "USES;LINK" ${ARGN})
  if(path MATCHES "\\.c$")
    file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/${path})
  else()
    file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/${path}/*.c)
  endif()
  if(NOT sources)
    return()
  endif()
  add_executable(${name} ${sources})
  target_compile_options(${name} PRIVATE ${DM_WARNINGS})
  target_link_libraries(${name} PRIVATE dm_include ${ARG_LINK} m)
  dm_use(${name} ${ARG_USES})
endfunction()

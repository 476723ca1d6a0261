export type { Mesh, MeshOptions } from './mesh.ts'
export { joinMesh } from './mesh.ts'

// Entry of the page.
import { mount } from 'svelte'
import App from './ui/App.svelte'
import './ui/theme.css'
import './ui/controls.css'

const target = document.getElementById('app')
if (target === null) throw new Error('index.html has no #app')

export default mount(App, { target })
